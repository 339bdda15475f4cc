/** Who did what to what, when and why. */
import type { Json } from '../model/event.ts';
import type { Page, Paged } from './rows.ts';

/** An entry of the audit as it is written: no credentials and no data of events. */
export interface AuditEntry {
  /** Who acted, such as a name that an API key has. */
  readonly actor: string;
  /** What was done, such as `dead_letter.discard`. */
  readonly action: string;
  /** To what, such as `held-12` or the id of a run. */
  readonly target: string;
  readonly tenant?: string;
  readonly reason?: string;
  readonly details?: Json;
  /** What makes it the same act, so that it is written once however often it is repeated. */
  readonly act?: string;
}

export interface AuditRow extends Omit<AuditEntry, 'act'> {
  readonly at: string;
}

export interface AuditFilter {
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly tenant?: string;
  /** From this time on, RFC 3339. */
  readonly from?: string;
  /** Before this time. */
  readonly to?: string;
}

/** Who did what to what, when and why. Entries are written and read: nothing changes or deletes one. */
export interface Audit {
  record(entry: AuditEntry): Promise<void>;
  /** The latest first. */
  list(filter: AuditFilter, page: Page): Promise<Paged<AuditRow>>;
}
