import { mongodbAdapter } from "better-auth/adapters/mongodb";
import { MongoClient } from "mongodb";

const client = new MongoClient(process.env.MONGODB_URI);
const movies = client.db().collection("movie");

// In a database of its own, because its collections are named as those of the product;
// without transactions, which need a replica set.
export const database = mongodbAdapter(client.db("better_auth"), { transaction: false });
export const listMovies = () => movies.find().sort({ name: 1 }).limit(20).toArray();
