/** A string as PostgreSQL can keep it: NUL and half surrogate pairs become U+FFFD, and it ends somewhere. */
export const storable = (text: string, charactersMax = 2_000): string =>
  text.slice(0, charactersMax).toWellFormed().replaceAll('\0', '\ufffd');

/** Whether PostgreSQL takes a string as it is: as a value to search for, others match nothing. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');
