/* Defects on purpose, which show that the fuzzer finds what it is there for. */

const spinMs = 400;

export const plantedTargets = [
  {
    name: 'planted: throws',
    weight: 0.2,
    make: (random) => Buffer.from(`throw ${random.int(10)}`),
    run: (bytes) => {
      if (bytes.at(-1) === 0x37) throw new TypeError('planted');
    },
  },
  {
    name: 'planted: hangs',
    weight: 0.02,
    make: () => Buffer.from('hang'),
    run: () => {
      const end = performance.now() + spinMs;
      while (performance.now() < end);
    },
  },
  {
    name: 'planted: allocates',
    weight: 0.02,
    make: () => Buffer.from('allocate'),
    run: () => {
      Buffer.alloc(64 * 1024 * 1024);
    },
  },
];
