/** The results as a JUnit XML file, which build servers show: a test suite for each area. */
import { type CaseResult } from './run';

export function junitOf(results: readonly CaseResult[]): string {
  const areas = [...new Set(results.map(({ area }) => area))];
  const suites = areas.map((area) =>
    suiteOf(
      area,
      results.filter((result) => result.area === area),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="vfio-user conformance">\n${suites.join('')}</testsuites>\n`;
}

function suiteOf(area: string, results: readonly CaseResult[]): string {
  const count = (...outcomes: readonly string[]): number =>
    results.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const seconds = results.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  const attributes = `tests="${results.length}" failures="${count('failed')}" skipped="${count('not-applicable', 'not-run')}"`;
  return `  <testsuite name="${area}" ${attributes} time="${seconds.toFixed(3)}">\n${results.map(caseOf).join('')}  </testsuite>\n`;
}

function caseOf({ area, id, outcome, expects, section, came = '', transcript = [], durationMs }: CaseResult): string {
  const open = `    <testcase classname="conformance.${area}" name="${escaped(id)}" time="${(durationMs / 1000).toFixed(3)}"`;
  if (outcome === 'passed') return `${open}/>\n`;
  if (outcome !== 'failed') return `${open}><skipped message="${escaped(came)}"/></testcase>\n`;
  const text = [`expected: ${expects} (${section})`, `came: ${came}`, ...transcript].join('\n');
  return `${open}><failure message="${escaped(came)}">${escaped(text)}</failure></testcase>\n`;
}

/** XML 1.0 has no control characters, not even as references. */
function escaped(text: string): string {
  const printable = text.replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '\ufffd');
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    '\n': '&#10;',
  };
  return printable.replaceAll(/[&<>"\n]/g, (character) => entities[character]!);
}
