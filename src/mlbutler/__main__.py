"""``python -m mlbutler``."""

from mlbutler.cli import main

if __name__ == "__main__":
    main()
