// `node --import`: the clock of this process is off by as many milliseconds as a file says, from when it says so.
// A real `faketime` is not everywhere, and does not step under a process that runs.
import { readFileSync } from 'node:fs';

const file = process.env.TIDEGATE_TEST_CLOCK_FILE;
const RealDate = Date;
let offsetMs = 0;
const read = () => {
  offsetMs = Number(readFileSync(file, 'utf8'));
};
read();
setInterval(read, 100).unref();

const now = () => RealDate.now() + offsetMs;
globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
