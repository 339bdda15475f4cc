/** What the journal says of its own trouble; pino's loggers fit. */
export interface JournalLogger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}
