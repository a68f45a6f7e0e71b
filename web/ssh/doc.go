//go:build js && wasm

// Command ssh is the terminal's client in the browser: SSH over a WebSocket, compiled to WebAssembly. It owns the bridge between
// JavaScript and the package terminal, and the WebSocket as a net.Conn; it has no rule of SSH itself, and draws nothing.
//
// The private key is made in the page or pasted into it, and never leaves it: only what SSH makes of it goes over the wire.
//
// A page loads wasm_exec.js and starts billet-ssh.wasm, both from /ssh:
//
//	const go = new Go();
//	const { instance } = await WebAssembly.instantiateStreaming(fetch("/ssh/billet-ssh.wasm"), go.importObject);
//	go.run(instance);                 // goes on as long as the page does
//	const ssh = globalThis.billetSSH; // is there when run has returned
//
//	ssh.generateKey()                 // {privateKey: OpenSSH PEM, publicKey: one line}
//	await ssh.connect({
//	  url,                            // of the deployment's terminal; a path of this site will do
//	  user, hostKeys,                 // sshUser and sshHostKeys of the deployment
//	  privateKey, passphrase,         // as text; passphrase where the key has one
//	  cols, rows, term,               // of the terminal; 80, 24 and xterm-256color if left out
//	  onData(bytes),                  // Uint8Array of what the machine says
//	  onStatus({phase, fingerprint, known}), // "connecting", "hostKey", "signingIn", "open"
//	  onClose({message, exitCode, closeCode}), // once, after connect has succeeded; exitCode is null where the shell did not
//	                                  // tell one; closeCode is the WebSocket's, 1006 where the connection broke off or nothing
//	                                  // arrived for 10 seconds
//	})                                // → {write(Uint8Array or string), resize(cols, rows), close()}
//
// connect rejects with an Error that has a code: UNREACHABLE, HOST_KEY_MISMATCH, KEY_INVALID, PASSPHRASE_MISSING,
// PASSPHRASE_WRONG, SIGN_IN_REFUSED or FAILED. At the phase hostKey, fingerprint is that of the machine's key, and known tells
// whether it is one of hostKeys: where that list is empty the key is trusted at first sight, and the page should show the fingerprint.
package main
