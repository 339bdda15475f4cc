import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';

/** What every process says of itself. Values are read when somebody scrapes; nothing runs in between. */
export function processMetrics(registry: Registry): void {
  const registers = [registry];
  const read = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  new Gauge({
    name: 'tidegate_build_info',
    help: 'Always 1: the version of Tidegate and of Node.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version: version(), node: process.version }, 1);
  new Counter({
    name: 'tidegate_process_cpu_seconds_total',
    help: 'Processor time, user and system.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  read('tidegate_process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss);
  read(
    'tidegate_process_heap_used_bytes',
    'Memory in use on the JavaScript heap.',
    () => process.memoryUsage().heapUsed,
  );
  read(
    'tidegate_process_start_time_seconds',
    'When the process started, seconds since 1970.',
    () => performance.timeOrigin / 1_000,
  );
  let mark = performance.eventLoopUtilization();
  read(
    'tidegate_event_loop_utilization_ratio',
    'How busy the event loop was since the last scrape, from 0 to 1.',
    () => {
      const { utilization } = performance.eventLoopUtilization(mark);
      mark = performance.eventLoopUtilization();
      return utilization;
    },
  );
}

/** From a checkout and from npm, package.json is two folders up. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
