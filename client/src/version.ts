/** The version of `@millrace/client`, told to brokers on connect. A test holds it to package.json. */
export const CLIENT_VERSION = '0.1.0';
/** What the client calls itself in front of a broker. */
export const CLIENT_SOFTWARE = '@millrace/client';
