"""Write the pages of docs/reference: `python -m scripts.reference`, from the repository's root."""

from scripts.reference.pages import write

if __name__ == "__main__":
    write()
