/** What a Temporal is asked, as it counts itself. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Its counters are published once a second. */
const PUBLISHED_MS = 2_000;

/**
 * What hands events over makes: each call brings events to a workflow, or asks whether it has taken them in.
 * Left out is what workers poll and answer with, and what the benchmark itself asks.
 */
const OPERATIONS = [
  'StartWorkflowExecution',
  'SignalWithStartWorkflowExecution',
  'DescribeWorkflowExecution',
];

/** The calls that a Temporal was made so far to hand events over, each try of a call that was tried again included. */
export async function deliveryCalls(metricsUrl: string): Promise<number> {
  await sleep(PUBLISHED_MS);
  const response = await fetch(metricsUrl);
  if (!response.ok) throw new Error(`GET ${metricsUrl}: ${response.status}`);
  const text = await response.text();
  let calls = 0;
  for (const [, labels = '', count] of text.matchAll(/^service_requests\{(.*)\} (\S+)$/gm)) {
    const isOurs = OPERATIONS.some((operation) => labels.includes(`operation="${operation}"`));
    if (isOurs && labels.includes('service_name="frontend"')) calls += Number(count);
  }
  return calls;
}
