/** `node --import` this runs TypeScript of the tests in a process of its own, over the built packages. */
import { register } from 'node:module';

register(new URL('./typescript-hooks.js', import.meta.url));
