/** A store for a page in a browser. */

import type { Pair, Store } from "./session.js";

const PAIRS = "pairs";

/**
 * Return a store in IndexedDB, for all tabs.
 *
 * What a tab has set there, the next one that has the lock gets: of localStorage that is not so,
 * which browsers carry from tab to tab a little later.
 */
export function browserStore(name = "movie-bag"): Store {
  const opened = new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore(PAIRS);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const run = async <T>(mode: IDBTransactionMode, work: (pairs: IDBObjectStore) => IDBRequest<T>) => {
    const transaction = (await opened).transaction(PAIRS, mode);
    return new Promise<T>((resolve, reject) => {
      const request = work(transaction.objectStore(PAIRS));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  };
  return {
    get: async () => (await run<Pair | null>("readonly", (pairs) => pairs.get("pair"))) ?? null,
    set: async (pair) => void (await run("readwrite", (pairs) => pairs.put(pair, "pair"))),
  };
}
