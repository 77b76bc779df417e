"""The change at hand: what the CI server says, completed with what Git knows."""
