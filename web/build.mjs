// Builds the static files: the application at the root of dist/, and the SDK as one ES module with its types.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { build } from 'vite';

const require = createRequire(import.meta.url);
const here = (path) => new URL(path, import.meta.url).pathname;

await build({ root: here('app'), logLevel: 'warn' });
await build({
  configFile: false,
  root: here('sdk'),
  logLevel: 'warn',
  build: {
    outDir: here('dist/sdk'),
    emptyOutDir: true,
    sourcemap: true,
    target: 'es2022',
    lib: { entry: here('sdk/src/index.ts'), formats: ['es'], fileName: () => 'parley.js' },
  },
});
rmSync(here('dist/sdk/types'), { recursive: true, force: true });
const tsc = require.resolve('typescript/package.json').replace('package.json', 'bin/tsc');
const types = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', 'src', '--outDir', '../dist/sdk/types'];
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', ...types], { cwd: here('sdk'), stdio: 'inherit' });
writeFileSync(here('dist/sdk/parley.d.ts'), "export * from './types/index.js';\n");
cpSync(here('sdk/README.md'), here('dist/sdk/README.md'));
