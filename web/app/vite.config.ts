import { defineConfig } from 'vite';

/** The gateway and the services behind the edge, for `npm run dev`. */
const edge = process.env.PARLEY_BASE_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  build: { outDir: '../dist', emptyOutDir: true, sourcemap: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api': edge, '/ws': { target: edge, ws: true } } },
});
