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
    `- ${scope.stage}: ${plain(scope.waitingFor ?? '')}`,
  ];
  const window = scope.window;
  if (window !== undefined) {
    lines.push(`- opened by ${plain(window.first.event.type)} \`${plain(window.first.event.id)}\``);
    lines.push(`- correlation id \`${plain(window.first.event.correlationid)}\``);
  }
  const inbox = scope.inbox.queued().length;
  if (inbox > 0) lines.push(`- ${inbox} events wait for the next window`);
  for (const parked of scope.parked) {
    lines.push(
      `- **needs a person** at ${plain(parked.step)} (${parked.errorClass}): ${plain(parked.reason)}`,
    );
  }
  return lines.join('\n');
}

// The Web UI renders details as Markdown; keys and reasons are data, never markup.
const plain = (text: string): string => text.replace(/[\\`*_[\]<>#|!]/g, '\\$&').slice(0, 500);
