/** One of Acme's flows, shown on a running engine in less than a minute. */
export interface Story {
  readonly name: string;
  /** One line for `--list`. */
  readonly summary: string;
  /** The connectors that it writes to: it does not begin unless they are fakes. */
  readonly writesTo: readonly string[];
  /** @throws `DemoFailed` when the engine does not keep the story's promise. */
  readonly tell: () => Promise<void>;
}

/** An id that no earlier telling has used. */
export const freshId = (): string => `demo-${Date.now().toString(36)}`;
