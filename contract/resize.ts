/** What an update makes of the NATS servers. */
export interface Resize {
  /** Servers before the update and after it. */
  readonly before: number;
  readonly after: number;
  /**
   * Whether servers of a cluster are to speak TLS among one another, or no more, or with a certificate of another Secret: those that have
   * restarted and those that have not do not find one another.
   */
  readonly parts?: boolean;
}

/** Whether a lone server becomes a cluster, or a cluster a lone server. */
export const resizes = ({ before, after }: Resize): boolean => before !== after && Math.min(before, after) === 1;
