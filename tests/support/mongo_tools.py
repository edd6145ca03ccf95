"""mongodump and mongorestore, as far as docs/deployment/backup.md uses them: files of BSON."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import bson
from bson import json_util
from pymongo import MongoClient
from pymongo.database import Database


def dump(uri: str, folder: Path) -> None:
    """Write the database of a URI into a folder, as mongodump does."""
    with MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        target = folder / database.name
        target.mkdir(parents=True, exist_ok=True)
        for name in database.list_collection_names():
            documents = b"".join(map(bson.encode, database[name].find()))
            (target / f"{name}.bson").write_bytes(documents)
            metadata = {"collectionName": name, "indexes": _indexes(database, name)}
            (target / f"{name}.metadata.json").write_text(json_util.dumps(metadata))


def _indexes(database: Database[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [dict(index) for index in database[name].list_indexes()]


def restore(uri: str, folder: Path, renamed: dict[str, str], *, drop: bool) -> None:
    """Insert what a folder has into the databases of the same names, or those they are renamed to.

    With drop, each collection of the folder replaces the one that is there.
    """
    with MongoClient[dict[str, Any]](uri) as client:
        for file in sorted(folder.glob("*/*.bson")):
            database = client[renamed.get(file.parent.name, file.parent.name)]
            _restore(database, file, drop=drop)


def _restore(database: Database[dict[str, Any]], file: Path, *, drop: bool) -> None:
    collection = database[file.stem]
    if drop:
        collection.drop()
    if documents := bson.decode_all(file.read_bytes()):
        collection.insert_many(documents)
    metadata = json.loads(file.with_suffix(".metadata.json").read_text())
    for index in metadata["indexes"]:
        if index["name"] == "_id_":
            continue
        options = {name: value for name, value in index.items() if name not in ("v", "key", "ns")}
        collection.create_index(list(index["key"].items()), **options)


def main(name: str, *arguments: str) -> None:
    """Do what the options of mongodump or mongorestore say."""
    parser = argparse.ArgumentParser(name)
    parser.add_argument("--uri", required=True)
    if name == "mongodump":
        parser.add_argument("--out", type=Path, required=True)
        given = parser.parse_args(arguments)
        dump(given.uri, given.out)
        return
    parser.add_argument("--drop", action="store_true")
    parser.add_argument("--nsFrom", default=".*")
    parser.add_argument("--nsTo", default=".*")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    renamed = {given.nsFrom.removesuffix(".*"): given.nsTo.removesuffix(".*")}
    restore(given.uri, given.folder, renamed, drop=given.drop)


if __name__ == "__main__":
    main(*sys.argv[1:])
