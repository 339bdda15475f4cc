import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readYaml, repositoryRoot } from './compose.ts';

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<'h' | 'w' | 'x' | 'y', number>>;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly {
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: { readonly uid: string };
  }[];
}

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

export const dashboardPanels = (): readonly Panel[] =>
  (
    JSON.parse(
      readFileSync(join(repositoryRoot, 'deploy/grafana/dashboards/tidegate.json'), 'utf8'),
    ) as { readonly panels: readonly Panel[] }
  ).panels;

export const alertRules = (): readonly Alert[] =>
  readYaml<{ readonly groups: readonly { readonly rules: readonly Alert[] }[] }>(
    'deploy/prometheus/alerts.yml',
  ).groups.flatMap(({ rules }) => rules);

export interface Query {
  /** The panel or the alert that asks. */
  readonly place: string;
  readonly expression: string;
  /** The labels that its text shows. */
  readonly shown: readonly string[];
}

/** What the dashboard and the alerts ask Prometheus. */
export const allQueries = (): readonly Query[] => [
  ...dashboardPanels().flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      place: title,
      expression: expr,
      shown: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
    })),
  ),
  ...alertRules().map(({ alert, expr, annotations }) => ({
    place: alert,
    expression: expr,
    shown: [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label),
  })),
];
