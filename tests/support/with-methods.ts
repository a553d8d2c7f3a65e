import type { Mapping } from '@millrace/native';
import type { StorageFile } from '../../broker/src/storage/persistence/file.js';

/** `target` with some members replaced; the others are called on `target` itself. */
export function withMethods<Target extends object>(
  target: Target | undefined,
  replaced: Partial<Target>,
): Target {
  if (target === undefined) throw new Error('there is nothing to replace methods of');
  return new Proxy(target, {
    get: (_, key) => {
      if (key in replaced) return replaced[key as keyof Target];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** `file`, with `replaced` and with what `methods` replaces of each mapping of it. */
export function withMapping(
  file: StorageFile,
  methods: (mapping: Mapping) => Partial<Mapping>,
  replaced: Partial<StorageFile> = {},
): StorageFile {
  const native = withMethods(file.native, {
    map: (length, access) => {
      const mapping = file.native?.map(length, access);
      return withMethods(mapping, mapping === undefined ? {} : methods(mapping));
    },
  });
  return withMethods(file, { ...replaced, native });
}
