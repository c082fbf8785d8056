/** What NATS calls the parts of a key-value bucket. */

/** Name of the stream behind a bucket. */
export const bucketStream = (bucket: string): string => `KV_${bucket}`;
/** Subjects of a bucket's entries. */
export const bucketSubjects = (bucket: string): string => `$KV.${bucket}.>`;
