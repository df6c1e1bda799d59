// Checks dashboards against the types that Grafana 10, 11 and 12 publish: node check.mjs FOLDER
//
// Nothing may have another type, or be another word, than a version knows; what is left out is a default of
// Grafana's. A property must be known to at least one of the versions; the others overlook it.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import ts from 'typescript';

const versions = [10, 11, 12];
const models = {
  bargauge: 'BarGauge', gauge: 'Gauge', heatmap: 'Heatmap', piechart: 'PieChart', stat: 'Stat', table: 'Table',
  text: 'Text', timeseries: 'TimeSeries',
};
const folder = process.argv[2];
const modules = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), 'node_modules');

const source = [
  // Enumerations as the words that they stand for.
  'type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? readonly Plain<U>[] : T extends object ? { readonly [K in keyof T]?: Plain<T[K]> } : T;',
];
for (const v of versions) {
  // What a version's files import from their own package is that version's.
  const own = `${modules}/schema-${v}/node_modules/@grafana`;
  fs.mkdirSync(own, { recursive: true });
  if (!fs.existsSync(`${own}/schema`)) fs.symlinkSync('../..', `${own}/schema`);
  source.push(`import type { Dashboard as Dashboard${v} } from '${modules}/schema-${v}';`);
  for (const [type, name] of Object.entries(models)) {
    source.push(`import type * as ${name}${v} from '${modules}/schema-${v}/dist/esm/raw/composable/${type}/panelcfg/x/${name}PanelCfg_types.gen';`);
  }
}
const about = []; // what stands in a line
let checked = 0;
function check(what, name, member, value) {
  const text = JSON.stringify(value);
  const types = versions.map((v) => `Plain<${name}${v}${member}>`);
  const add = (line) => {
    about[source.length] = what;
    source.push(line);
  };
  add(`export const known${++checked}: ${types.join(' | ')} = ${text};`);
  add(`const value${checked} = ${text} as const;`);
  types.forEach((type, i) => add(`export const v${versions[i]}_${checked}: ${type} = value${checked};`));
}

const files = fs.readdirSync(folder).filter((f) => f.endsWith('.json'));
for (const file of files) {
  const dashboard = JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'));
  for (const panel of dashboard.panels) {
    if (panel.type === 'row') continue;
    const name = models[panel.type];
    check(`${file}, ${panel.title}: options`, name, '.Options', panel.options);
    if (panel.fieldConfig.defaults.custom) {
      check(`${file}, ${panel.title}: fieldConfig.defaults.custom`, name, '.FieldConfig', panel.fieldConfig.defaults.custom);
    }
  }
  // The types know targets of annotations of Grafana's own kind alone.
  for (const annotation of dashboard.annotations?.list ?? []) delete annotation.target;
  check(file, 'Dashboard', '', dashboard);
}
if (checked <= files.length) throw new Error(`nothing to check in ${folder}`);

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'schema-'));
try {
  const file = path.join(work, 'check.ts');
  fs.writeFileSync(file, source.join('\n'));
  const program = ts.createProgram([file], {
    strict: true, noEmit: true, skipLibCheck: true, types: [],
    module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022,
  });
  const wrong = ts.getPreEmitDiagnostics(program);
  for (const d of wrong) {
    const where = d.file?.fileName.endsWith('check.ts') ? about[d.file.getLineAndCharacterOfPosition(d.start).line] : d.file?.fileName;
    console.error(`${where ?? ''}: ${ts.flattenDiagnosticMessageText(d.messageText, '\n')}`);
  }
  if (wrong.length === 0) console.log(`${checked} parts of ${files.length} dashboards are what Grafana ${versions.join(', ')} knows`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  fs.rmSync(work, { recursive: true });
}
