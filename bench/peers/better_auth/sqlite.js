import { readFileSync } from "node:fs";

import Database from "better-sqlite3";

export const database = new Database(process.env.SQLITE);
database.pragma("journal_mode = WAL"); // as the documentation of better-sqlite3 says
database.exec("CREATE TABLE movie (id TEXT PRIMARY KEY, name TEXT, casts TEXT, genres TEXT, added_by TEXT)");
database.exec("CREATE INDEX movie_name ON movie (name)");
const insert = database.prepare("INSERT INTO movie VALUES ($id, $name, $casts, $genres, $added_by)");
database.transaction(() => {
  for (const line of readFileSync(process.env.MOVIES, "utf8").trim().split("\n")) {
    const movie = JSON.parse(line);
    insert.run({ ...movie, casts: JSON.stringify(movie.casts), genres: JSON.stringify(movie.genres) });
  }
})();

const select = database.prepare("SELECT * FROM movie ORDER BY name LIMIT 20");
export const listMovies = () =>
  select.all().map((movie) => ({
    ...movie,
    casts: JSON.parse(movie.casts),
    genres: JSON.parse(movie.genres),
  }));
