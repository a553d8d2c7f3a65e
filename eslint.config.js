import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/** Layers may only import downwards: protocol and native know nobody of ours. */
const forbid = (...names) => ({
  'no-restricted-imports': [
    'error',
    {
      patterns: names.map((name) => ({
        group: [name, `${name}/*`],
        message: 'This layer may not know that one.',
      })),
    },
  ],
});

export default tseslint.config(
  { ignores: ['**/dist/', '**/build/', '**/node_modules/', 'coverage/', 'data/', 'results/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
      ],
    },
  },
  {
    files: ['protocol/**/*.ts', 'native/**/*.ts'],
    rules: forbid('@millrace/protocol', '@millrace/native', '@millrace/broker', '@millrace/client'),
  },
  { files: ['client/**/*.ts'], rules: forbid('@millrace/native', '@millrace/broker') },
  { files: ['broker/**/*.ts'], rules: forbid('@millrace/client') },
  // The load tester uses what users use, and starts brokers as processes.
  {
    files: ['bench/**/*.ts'],
    rules: forbid('@millrace/protocol', '@millrace/native', '@millrace/broker'),
  },
  // Its plain sender and receiver in C are given frames.
  {
    files: ['bench/src/reference/frames.ts'],
    rules: forbid('@millrace/native', '@millrace/broker'),
  },
  {
    files: ['**/*.js'],
    languageOptions: {
      globals: {
        AbortController: 'readonly',
        Buffer: 'readonly',
        console: 'readonly',
        performance: 'readonly',
        process: 'readonly',
        URL: 'readonly',
      },
    },
  },
  prettier,
);
