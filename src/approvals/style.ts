import { createHash } from 'node:crypto';

/** The one style of these pages: in the page, because a link must lead to one address only. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f3f5f7; --card: #ffffff; --ink: #16202a; --quiet: #566472; --line: #dde3e9;
  --accent: #17624a; --accent-ink: #ffffff; --accent-hover: #124d3a;
  --stop: #a3261e; --stop-hover: #fbeceb; --soft: #f7f9fa;
  --yes-ground: #e3f3ec; --yes: #14553f; --no-ground: #fbe7e5; --no: #8f1f18; --wait-ground: #fdf1d7; --wait: #6f4a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10161c; --card: #18212a; --ink: #e8edf2; --quiet: #9fb0bf; --line: #2c3843;
    --accent: #4fc397; --accent-ink: #06231a; --accent-hover: #6fd2ad;
    --stop: #ff9a91; --stop-hover: #3a211f; --soft: #1d2731;
    --yes-ground: #173a2d; --yes: #8fe0bd; --no-ground: #45211e; --no: #ffb4ad; --wait-ground: #3d3112; --wait: #f3cf7f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; padding: 16px 12px 24px; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
main { max-width: 640px; margin: 0 auto; background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
section, header, form { padding: 20px; border-top: 1px solid var(--line); }
header { border-top: 0; }
h1 { margin: 10px 0 0; font-size: 23px; line-height: 1.25; letter-spacing: -0.01em; }
h2 { margin: 0 0 12px; font-size: 13px; font-weight: 600; color: var(--quiet); }
p { margin: 8px 0 0; }
h2 + p { margin-top: 0; }
.quiet, footer { color: var(--quiet); }
.badge { display: inline-block; padding: 3px 10px; border-radius: 999px; font-size: 13px; font-weight: 600; background: var(--wait-ground); color: var(--wait); }
.badge.yes { background: var(--yes-ground); color: var(--yes); }
.badge.no { background: var(--no-ground); color: var(--no); }
.facts { margin: 14px 0 0; display: grid; gap: 4px; font-size: 15px; }
.facts div { display: flex; gap: 12px; }
.facts dt { flex: 0 0 76px; color: var(--quiet); }
.facts dd { margin: 0; min-width: 0; }
.context dl, .context ul { margin: 0; padding: 0; list-style: none; }
.context > dl > div { display: grid; grid-template-columns: minmax(88px, 32%) 1fr; gap: 12px; padding: 8px 0; border-top: 1px solid var(--line); }
.context > dl > div:first-child { border-top: 0; padding-top: 0; }
.context > dl > div:last-child { padding-bottom: 0; }
.context dt { color: var(--quiet); font-size: 15px; }
.context dd dt { font-size: 14px; }
.context dd { margin: 0; }
.context dd dl, .context dd ul, .context li dl, .context li ul { padding-left: 12px; border-left: 2px solid var(--line); }
.context dd dl div + div, .context li + li { margin-top: 4px; }
.text { white-space: pre-line; }
code { font: 14px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.people { margin: 0; padding: 0; list-style: none; display: grid; gap: 10px; }
.people li { display: grid; grid-template-columns: 1fr auto; gap: 2px 12px; align-items: start; }
.people .said { grid-column: 1 / -1; font-size: 14px; color: var(--quiet); }
.people q { color: var(--ink); quotes: none; white-space: pre-line; }
.you { color: var(--quiet); }
.notice { background: var(--wait-ground); color: var(--wait); }
.notice.yes { background: var(--yes-ground); color: var(--yes); }
.notice.no { background: var(--no-ground); color: var(--no); }
.notice p { margin: 0; }
.notice p + p { margin-top: 4px; }
label { display: block; font-weight: 600; }
label span { font-weight: 400; color: var(--quiet); }
textarea {
  display: block; width: 100%; min-height: 84px; margin: 8px 0 14px; padding: 10px 12px; resize: vertical;
  font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--quiet); border-radius: 10px;
}
.buttons { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
button {
  min-height: 50px; padding: 10px 16px; font: inherit; font-weight: 600; border-radius: 10px; cursor: pointer;
  border: 1px solid var(--stop); background: transparent; color: var(--stop);
}
button:hover { background: var(--stop-hover); }
button.approve { border-color: var(--accent); background: var(--accent); color: var(--accent-ink); }
button.approve:hover { background: var(--accent-hover); border-color: var(--accent-hover); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
footer { max-width: 640px; margin: 14px auto 0; padding: 0 8px; font-size: 13px; }
footer p { margin: 0 0 4px; }
@media (min-width: 700px) {
  body { padding: 48px 24px; }
  section, header, form { padding: 24px 32px; }
  h1 { font-size: 27px; }
  .context > dl > div { grid-template-columns: 170px 1fr; gap: 16px; }
  .buttons { grid-template-columns: 200px 140px; }
}
`;

/** What the page's content security policy knows the style by. */
export const STYLE_HASH: string = `sha256-${createHash('sha256').update(STYLE).digest('base64')}`;
