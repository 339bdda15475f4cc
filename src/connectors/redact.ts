import { LIMITS } from '../model/limits.ts';

const HIDDEN = '[redacted]';
/** Shorter values would hide half of every message, and are no secrets. */
const SECRET_CHARACTERS_MIN = 4;

/** A text without these secrets, in any of the forms in which a URL, a form or JSON repeats them. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const forms = secrets
    .filter((secret) => secret.length >= SECRET_CHARACTERS_MIN)
    .flatMap((secret) => [
      secret,
      encodeURIComponent(secret.toWellFormed()),
      JSON.stringify(secret).slice(1, -1),
      Buffer.from(secret).toString('base64'),
    ])
    // The longest first: one secret may be the beginning of another.
    .sort((a, b) => b.length - a.length);
  return forms
    .reduce((clean, form) => clean.replaceAll(form, HIDDEN), text)
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{4,}/gi, `$1 ${HIDDEN}`);
}

/**
 * The beginning of a failed answer's body: enough to recognise the failure by, without what may be
 * a person's or a credential. Answers often repeat what they were sent.
 */
export function excerpt(body: string, secrets: readonly string[]): string {
  const clean = withoutSecrets(body.slice(0, 4 * LIMITS.errorExcerptCharactersMax), secrets)
    .replace(/[\w.+%-]+@[\w-]+\.[\w.-]+/g, '[email]')
    .replace(/(?=[\w~+/=-]*\d)[\w~+/=-]{20,}/g, HIDDEN)
    .replace(/\+?\d[\d ().-]{6,}\d/g, '[number]')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length <= LIMITS.errorExcerptCharactersMax
    ? clean
    : `${clean.slice(0, LIMITS.errorExcerptCharactersMax)}…`;
}
