/** What is used of the library, which brings no types. */
declare module "libqp" {
  const libqp: {
    /** Quoted-printable of octets: line ends stay, lines are as long as they were. */
    readonly encode: (octets: Buffer) => string
    /** Soft line breaks, so that no line has more than 76 characters. */
    readonly wrap: (quotedPrintable: string) => string
  }
  export default libqp
}
