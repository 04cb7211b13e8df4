// Lint rules. The part of our own is the import direction: data flows down the layer list in docs/how-it-works.md,
// and a folder may import only from folders below it.
import { dirname, join, relative } from 'node:path';
import tseslint from 'typescript-eslint';

/** Who may import whom: folder -> the folders it may reach, what is below them included. Anything else is refused. */
const mayImport = {
  'emulator/native': [],
  'emulator/watchdog': [],
  'emulator/memory': [],
  'emulator/registers': [],
  'emulator/clock': ['emulator/native'],
  'emulator/device': ['emulator/memory'],
  'emulator/vfio-user': ['emulator/device', 'emulator/native', 'emulator/clock', 'emulator/memory'],
  'emulator/pci': ['emulator/device', 'emulator/registers', 'emulator/memory', 'emulator/clock', 'emulator/native'],
  'emulator/dma': ['emulator/registers', 'emulator/memory', 'emulator/clock'],
  'emulator/cards': ['emulator/pci', 'emulator/registers', 'emulator/dma', 'emulator/memory', 'emulator/clock'],
  'emulator/host': ['emulator/pci', 'emulator/device', 'emulator/registers', 'emulator/memory', 'emulator/clock'],
  'emulator': ['emulator'],
  'instrumentation/trace': [
    'emulator/native',
    'emulator/pci',
    'emulator/device',
    'emulator/registers',
    'emulator/memory',
    'emulator/clock',
  ],
  'instrumentation/faults': [
    'instrumentation/trace',
    'emulator/pci',
    'emulator/device',
    'emulator/registers',
    'emulator/memory',
    'emulator/clock',
    'emulator/native',
  ],
  'instrumentation/analysis': ['instrumentation/trace', 'emulator/registers'],
  'instrumentation/report': ['instrumentation/analysis', 'instrumentation/trace', 'emulator/registers'],
  'instrumentation/stalls': ['instrumentation/trace', 'emulator/pci', 'emulator/clock'],
  'instrumentation/observer': ['instrumentation/trace', 'emulator/pci', 'emulator/native'],
  'instrumentation/races': [
    'instrumentation/checks',
    'instrumentation/observer',
    'instrumentation/symbols',
    'instrumentation/trace',
    'emulator/pci',
    'emulator/registers',
    'emulator/memory',
  ],
  'instrumentation/checks': [
    'instrumentation/stalls',
    'instrumentation/trace',
    'emulator/pci',
    'emulator/registers',
    'emulator/memory',
  ],
  'instrumentation/symbols': [],
  'instrumentation/replay': [
    'instrumentation/analysis',
    'instrumentation/faults',
    'instrumentation/trace',
    'emulator/pci',
    'emulator/device',
    'emulator/registers',
    'emulator/memory',
    'emulator/clock',
  ],
  'instrumentation/conformance': ['emulator/vfio-user', 'emulator/native'],
  'instrumentation': ['instrumentation', 'emulator'],
  'qemu/guest-image': [],
  'qemu/qmp': [],
  'qemu/channel': [],
  'qemu/provision/basis': [],
  'qemu/provision/cache': ['qemu/provision/basis', 'emulator/native'],
  'qemu/provision/packages': ['qemu/provision/basis'],
  'qemu/provision/packs': ['qemu/provision/cache', 'qemu/provision/basis'],
  'qemu/provision/steps': [
    'qemu/provision/cache',
    'qemu/provision/packs',
    'qemu/provision/packages',
    'qemu/provision/basis',
    'qemu/guest-image',
    'emulator/native',
  ],
  'qemu/provision': ['qemu/provision', 'emulator/native'],
  'qemu/snapshot': ['qemu/qmp', 'qemu/provision', 'emulator/native'],
  'qemu/launch': ['qemu/snapshot', 'qemu/qmp', 'qemu/channel', 'qemu/provision', 'qemu/guest-image', 'emulator'],
  'qemu/rig': [
    'qemu/launch',
    'qemu/snapshot',
    'qemu/provision',
    'qemu/channel',
    'qemu/guest-image',
    'instrumentation',
    'emulator',
  ],
  'qemu': ['qemu'],
  'harness': ['qemu/rig', 'qemu/launch', 'qemu/provision', 'qemu/channel', 'instrumentation', 'emulator'],
  'cli/common': ['instrumentation', 'emulator'],
  'cli/commands': ['cli/common', 'instrumentation', 'emulator'],
  'cli/guest': ['cli/common', 'qemu', 'instrumentation', 'emulator'],
  'cli': ['cli', 'emulator'],
};
const isBelow = (path, folder) => path === folder || path.startsWith(`${folder}/`);
/** The narrowest folder of the list that holds a file; undefined where none does: examples, configuration. */
const layerOf = (path) =>
  Object.keys(mayImport)
    .filter((folder) => isBelow(path, folder))
    .sort((a, b) => b.length - a.length)[0];

const importDirection = {
  create(context) {
    const file = relative(import.meta.dirname, context.filename);
    const layer = layerOf(file);
    const check = ({ source }) => {
      if (typeof source?.value !== 'string' || !source.value.startsWith('.')) return;
      const target = join(dirname(file), source.value);
      const other = target === layer ? layer : (layerOf(target) ?? target);
      if (other === layer || target === 'emulator/folders') return;
      if (mayImport[layer].some((allowed) => isBelow(other, allowed))) return;
      context.report({
        node: source,
        message: `${layer} must not import ${other}: see the layer list in docs/how-it-works.md.`,
      });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
    };
  },
};
const roots = [...new Set(Object.keys(mayImport).map((folder) => folder.split('/')[0]))];

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/build/**', 'dist/**', 'artifacts/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.mts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/await-thenable': 'error',
      'eqeqeq': 'error',
    },
  },
  { files: ['**/*.js'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
  {
    files: roots.map((folder) => `${folder}/**/*.ts`),
    ignores: ['**/*.test.ts'],
    plugins: { ghostcard: { rules: { 'import-direction': importDirection } } },
    rules: { 'ghostcard/import-direction': 'error' },
  },
);
