// Lint rules. The part of our own is the import direction: data flows down the layer list in docs/how-it-works.md,
// and a folder may import only from folders below it.
import tseslint from 'typescript-eslint';

/** Who may import whom: folder -> the folders it may reach. Anything not listed is refused. */
const mayImport = {
  'emulator/clock': ['emulator/native'],
  'emulator/native': [],
  'emulator/watchdog': [],
  'emulator/memory': [],
  'emulator/registers': [],
  'emulator/device': ['emulator/memory'],
  'emulator/vfio-user': ['emulator/device', 'emulator/native', 'emulator/clock', 'emulator/memory'],
  'emulator/pci': ['emulator/device', 'emulator/registers', 'emulator/memory', 'emulator/clock', 'emulator/native'],
  'emulator/dma': ['emulator/registers', 'emulator/memory', 'emulator/clock'],
  'emulator/cards': ['emulator/pci', 'emulator/registers', 'emulator/dma', 'emulator/memory', 'emulator/clock'],
  'emulator/trace': ['emulator/pci', 'emulator/device', 'emulator/registers', 'emulator/memory', 'emulator/clock'],
  'emulator/faults': [
    'emulator/trace',
    'emulator/pci',
    'emulator/device',
    'emulator/registers',
    'emulator/memory',
    'emulator/clock',
    'emulator/native',
  ],
  'emulator/analysis': ['emulator/trace', 'emulator/registers'],
  'emulator/driver-watch': ['emulator/trace', 'emulator/pci', 'emulator/clock'],
  'emulator/replay': [
    'emulator/analysis',
    'emulator/faults',
    'emulator/trace',
    'emulator/pci',
    'emulator/device',
    'emulator/registers',
    'emulator/memory',
    'emulator/clock',
  ],
  'emulator/host': [
    'emulator/trace',
    'emulator/pci',
    'emulator/device',
    'emulator/registers',
    'emulator/memory',
    'emulator/clock',
  ],
  'qemu/provision': ['emulator/native', 'qemu/guest-image'],
  'qemu/guest-image': [],
  'qemu/qmp': [],
  'qemu/channel': [],
  'qemu/snapshot': ['qemu/qmp', 'qemu/provision', 'emulator/native'],
  'qemu/launch': ['qemu/snapshot', 'qemu/qmp', 'qemu/channel', 'qemu/provision', 'qemu/guest-image', 'emulator'],
  'qemu/rig': ['qemu/launch', 'qemu/snapshot', 'qemu/provision', 'qemu/channel', 'emulator'],
  'qemu/cli': ['qemu', 'emulator'],
  'qemu/harness': ['qemu/rig', 'qemu/launch', 'qemu/provision', 'qemu/channel', 'emulator'],
};
const layers = Object.keys(mayImport);
const covers = (allowed, folder) => folder === allowed || folder.startsWith(`${allowed}/`);

const importDirection = layers.map((folder) => ({
  files: [`${folder}/**/*.ts`],
  ignores: ['**/*.test.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: layers
          .filter((other) => other !== folder && !mayImport[folder].some((allowed) => covers(allowed, other)))
          .map((other) => ({
            regex: `^(\\.\\./)+(${other}|${other.split('/')[1]})(/|$)`,
            message: `${folder} must not import ${other}: see the layer list in docs/how-it-works.md.`,
          })),
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/build/**', 'artifacts/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.mts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'eqeqeq': 'error',
    },
  },
  { files: ['**/*.js'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
  ...importDirection,
);
