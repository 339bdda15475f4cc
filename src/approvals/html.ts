/** A piece of HTML: made by {@link html}, which escapes whatever is put into it, or text of our own. */
export interface Html {
  readonly html: string;
}

type Part = Html | string | number | undefined | readonly Html[];

/** A template in which every value that is not HTML already is text. */
export const html = (literals: TemplateStringsArray, ...values: readonly Part[]): Html => ({
  html: literals.reduce((text, literal, index) => `${text}${render(values[index - 1])}${literal}`),
});

function render(value: Part): string {
  if (value === undefined) return '';
  if (typeof value === 'string' || typeof value === 'number') return escaped(String(value));
  return 'html' in value ? value.html : value.map(({ html }) => html).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escaped = (text: string): string =>
  text.toWellFormed().replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
