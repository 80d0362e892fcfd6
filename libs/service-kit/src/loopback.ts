/** Whether only processes of this machine reach an address, "host:port" or "unix:/path". A name other than localhost: no. */
export function isLoopback(address: string): boolean {
  if (address.startsWith('unix:')) return true
  const host = address.replace(/:\d+$/, '').toLowerCase()
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
