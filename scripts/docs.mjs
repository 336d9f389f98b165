/** `pnpm run docs`: writes every generated file, or with `--check` says which are not current. Needs the built packages. */
await import('./kernel-map.mjs');
await import('./seed-coverage.mjs');
await import('./issue-table.mjs');
await import('./machine-schema.mjs');
await import('./readme-demo.mjs');
