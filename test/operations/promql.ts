/** As much of PromQL as it takes to say which series and labels an expression reads. */

export interface Selector {
  readonly series: string;
  /** The labels that it selects by. */
  readonly labels: readonly string[];
}

export interface Reading {
  readonly selectors: readonly Selector[];
  /** The labels that its aggregations keep; undefined where nothing is aggregated. */
  readonly kept: readonly string[] | undefined;
}

const WORDS = new Set(['and', 'or', 'unless']);

export function readingOf(expression: string): Reading {
  const plain = expression.replace(/"[^"]*"/g, '""').replace(/\[[^\]]*\]/g, '');
  const lists = [...plain.matchAll(/\bby\s*\(([^)]*)\)/g)];
  const kept = lists.flatMap(([, names = '']) => names.split(',').map((name) => name.trim()));
  // A name before a bracket is a function; one in braces is a label.
  const names = /\b([a-zA-Z_:][\w:]*)(?:\{([^}]*)\}|(?![\w:]|\s*\())/g;
  const selectors = [...plain.replace(/\bby\s*\([^)]*\)/g, '').matchAll(names)]
    .filter(([, name = '']) => !WORDS.has(name))
    .map(([, series = '', matchers = '']) => ({
      series,
      labels: [...matchers.matchAll(/\w+/g)].map(([label]) => label),
    }));
  const isAggregated = /\b(sum|max|min|avg|count|absent)\b/.test(plain);
  return { selectors, kept: isAggregated ? kept : undefined };
}
