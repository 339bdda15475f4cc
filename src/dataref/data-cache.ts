/**
 * Data of events that a process had in hand lately, as JSON in UTF-8, bounded in bytes: what was not used
 * for longest makes room.
 */
export interface DataCache {
  get(key: string): Buffer | undefined;
  set(key: string, json: Buffer): void;
}

export function createDataCache(bytesMax: number): DataCache {
  const kept = new Map<string, Buffer>();
  let bytes = 0;
  const drop = (key: string): void => {
    bytes -= kept.get(key)?.length ?? 0;
    kept.delete(key);
  };
  return {
    get(key) {
      const json = kept.get(key);
      if (json === undefined) return undefined;
      // A map keeps the order of insertion: the first is the one that was not used for longest.
      kept.delete(key);
      kept.set(key, json);
      return json;
    },
    set(key, json) {
      drop(key);
      kept.set(key, json);
      bytes += json.length;
      for (const oldest of kept.keys()) {
        if (bytes <= bytesMax) return;
        drop(oldest);
      }
    },
  };
}
