"""The demo world: a forge, an author, an agent, and a story that is also the product's acceptance test."""
