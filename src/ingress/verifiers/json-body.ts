/** The object that a body is as JSON, for schemes that keep what they need inside; undefined when it is none. */
export function jsonObject(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const payload: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body),
    );
    return isObject(payload) ? payload : undefined;
  } catch {
    return undefined;
  }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
