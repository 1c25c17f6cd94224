import { defineConfig, type Plugin } from 'vite';

/** The gateway and the services behind the edge, for `npm run dev`. */
const edge = process.env.PARLEY_BASE_URL ?? 'http://127.0.0.1:8080';

/** Where files are when they are in another origin: the public address of the S3 store, and more of them separated by spaces. */
const files = process.env.PARLEY_FILES_ORIGIN ? ` ${process.env.PARLEY_FILES_ORIGIN}` : '';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  `connect-src 'self'${files}`,
  "base-uri 'none'",
  "form-action 'self'",
].join('; ');

/** The built page carries its own content security policy, whatever serves it. */
function policy(): Plugin {
  const tag = { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' as const };
  return { name: 'parley-policy', apply: 'build', transformIndexHtml: () => [tag] };
}

export default defineConfig({
  plugins: [policy()],
  build: { outDir: '../dist', emptyOutDir: true, sourcemap: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api': edge, '/ws': { target: edge, ws: true } } },
});
