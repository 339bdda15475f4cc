import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { ErrorClass } from '../model/error.ts';
import { type RunStage, SEARCH_ATTRIBUTES } from '../model/protocol.ts';
import type { RunScope } from './run-scope.ts';

/**
 * Shows where the run is: the current details (which cost nothing in history) always, the search
 * attribute only when the stage changes (an event of history each time).
 */
export function showStage(scope: RunScope, stage: RunStage, doing: string): void {
  if (scope.stage !== stage) {
    scope.stage = stage;
    upsertSearchAttributes([keyword(SEARCH_ATTRIBUTES.stage, stage)]);
  }
  scope.waitingFor = doing;
  setCurrentDetails(details(scope));
}

/** Shows that the run waits for a person, or no longer does. */
export function showErrorClass(errorClass: ErrorClass | null): void {
  upsertSearchAttributes([keyword(SEARCH_ATTRIBUTES.errorClass, errorClass)]);
}

/** Shows whose story the run now tells; a run's first window has this from its start. */
export function showStory(source: string, correlationId: string): void {
  upsertSearchAttributes([
    keyword(SEARCH_ATTRIBUTES.source, source),
    keyword(SEARCH_ATTRIBUTES.correlationId, correlationId),
  ]);
}

const keyword = (name: string, value: string | null) => ({
  key: { name, type: 'KEYWORD' as const },
  value,
});

function details(scope: RunScope): string {
  const { flow, tenant, key } = scope.input;
  const lines = [
    `**${plain(flow)}** for **${plain(key)}** (tenant ${plain(tenant)})`,
    `**${scope.stage}**: ${plain(scope.marked.mask(scope.waitingFor ?? ''))}`,
  ];
  const window = scope.window;
  if (window !== undefined) {
    const { type, id, source, correlationid } = window.first.event;
    lines.push(
      `Opened by ${plain(type)} \`${plain(id)}\` from ${plain(source)}, correlation id \`${plain(correlationid)}\``,
    );
  }
  const inbox = scope.inbox.count();
  if (inbox > 0) lines.push(`In the inbox for the next window: ${inbox}`);
  for (const parked of scope.parked) {
    lines.push(
      `**Needs a person** at ${plain(parked.step)} (${parked.errorClass ?? parked.question?.kind}): ${plain(scope.marked.mask(parked.reason))}`,
    );
  }
  // Paragraphs: the Web UI renders neither lists nor single line breaks.
  return lines.join('\n\n');
}

// The Web UI renders details as Markdown; keys and reasons are data, never markup.
const plain = (text: string): string => text.replace(/[\\`*_[\]<>#|!]/g, '\\$&').slice(0, 500);
