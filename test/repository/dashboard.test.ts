import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { readYaml } from '../operations/compose.ts';
import { alertRules, allQueries, dashboardPanels } from '../operations/panels.ts';
import { readingOf } from '../operations/promql.ts';
import { readText } from './files.ts';

const panels = dashboardPanels();
const alerts = alertRules();
const DATASOURCES = 'deploy/grafana/provisioning/datasources/prometheus.yml';

describe('readingOf', () => {
  it('finds the series, the labels and what an aggregation keeps', () => {
    assert.deepEqual(
      readingOf(
        'histogram_quantile(0.99, sum by (le, to) (rate(a_bucket{b=~"c|d{1}",e!=""}[5m]))) > 1',
      ),
      { selectors: [{ series: 'a_bucket', labels: ['b', 'e'] }], kept: ['le', 'to'] },
    );
    assert.deepEqual(readingOf('time() - max(x_total) unless y{job="z"} == 0'), {
      selectors: [
        { series: 'x_total', labels: [] },
        { series: 'y', labels: ['job'] },
      ],
      kept: [],
    });
    assert.deepEqual(readingOf('rate(x[$__rate_interval])'), {
      selectors: [{ series: 'x', labels: [] }],
      kept: undefined,
    });
  });
});

describe('the dashboard', () => {
  it("asks an operator's questions in their order", () => {
    assert.deepEqual(
      panels.filter(({ type }) => type === 'row').map(({ title }) => title),
      [
        'Is anything lost, or waiting for a person?',
        'Are events taken?',
        'Do they leave?',
        'How old is the oldest?',
        'Is the door shedding?',
        'Are runs settling?',
        'Are connectors failing?',
        'Are the machines full?',
      ],
    );
  });

  it('has no two panels in one place, and none without a query', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Map<string, string>();
    for (const { title, type, gridPos, targets = [] } of panels) {
      assert.ok(type === 'row' || targets.length > 0, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.equal(taken.get(`${x},${y}`), undefined, title);
          taken.set(`${x},${y}`, title);
          assert.ok(x < 24, title);
        }
      }
    }
  });

  it('asks the data source that Grafana is given', () => {
    const [source] = readYaml<{ datasources: readonly { uid: string }[] }>(DATASOURCES).datasources;
    for (const { title, targets = [] } of panels) {
      for (const { datasource } of targets) assert.equal(datasource.uid, source?.uid, title);
    }
  });
});

describe('every query of the dashboard and the alerts', () => {
  it('shows only labels that its result has', () => {
    for (const { place, expression, shown } of allQueries()) {
      const { kept, selectors } = readingOf(expression);
      const has = kept ?? ['job', 'instance', ...selectors.flatMap(({ labels }) => labels)];
      const missing = shown.filter((label) => !has.includes(label));
      assert.deepEqual(missing, [], place);
    }
  });
});

describe('docs/operating/alerts.md', () => {
  const page = readText('docs/operating/alerts.md');
  const sections = page.split(/^## /m).slice(1);

  it('has a section for each alert, in their order, which the alert names', () => {
    const headings = sections.map((section) => section.split('\n')[0] ?? '');
    assert.deepEqual(
      headings.filter((heading) => heading.startsWith('Tidegate')),
      alerts.map(({ alert }) => alert),
    );
    for (const { alert, annotations } of alerts) {
      assert.equal(annotations.runbook, `docs/operating/alerts.md#${alert.toLowerCase()}`);
    }
  });

  it('says of each what it means and what to do', () => {
    for (const section of sections.filter((each) => each.startsWith('Tidegate'))) {
      assert.match(section, /\*\*Means\.\*\*/, section);
      assert.match(section, /\*\*Do\.\*\*/, section);
    }
  });

  it('is of alerts for now or for the next working day', () => {
    const severities = new Set(alerts.map(({ labels }) => labels.severity));
    assert.deepEqual([...severities].sort(), ['page', 'ticket']);
  });
});
