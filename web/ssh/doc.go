//go:build js && wasm

// Command ssh is the web terminal's client: SSH over a WebSocket, compiled to WebAssembly. It owns
// the bridge between JavaScript and the package terminal, and the WebSocket as a net.Conn. It has
// no SSH rules of its own and draws nothing.
//
// The private key is generated in the page or pasted into it, and never leaves it. Only what SSH
// derives from it is sent.
//
// A page loads wasm_exec.js and starts billet-ssh.wasm, both from /ssh:
//
//	const go = new Go();
//	const wasm = fetch("/ssh/billet-ssh.wasm");
//	const { instance } = await WebAssembly.instantiateStreaming(wasm, go.importObject);
//	go.run(instance);                 // runs as long as the page
//	const ssh = globalThis.billetSSH; // set when run has returned
//
//	ssh.generateKey()                 // {privateKey: OpenSSH PEM, publicKey: one line}
//	await ssh.connect({
//	  url,                        // the deployment's terminal, as a URL or a path of this site
//	  user, hostKeys,             // sshUser and sshHostKeys of the deployment
//	  privateKey, passphrase,     // as text; passphrase where the key has one
//	  cols, rows, term,           // default 80, 24 and xterm-256color
//	  keep,                       // name of a shell that outlives the connection, in tmux
//	  onData(bytes),              // output of the machine, as a Uint8Array
//	  // phase is "connecting", "hostKey", "signingIn", then "open"
//	  onStatus({phase, fingerprint, known, kept, resumed}),
//	  onClose({message, exitCode, closeCode}), // once, after connect has succeeded
//	}) // → {write(Uint8Array or string), resize(cols, rows), close(), files()}
//
//	const files = await session.files() // the machine's files by SFTP, over the same connection
//	await files.list(path)       // {path, partial, entries: [{name, kind, …}]}; "." is the home
//	await files.makeFolder(path)
//	await files.rename(from, to) // replaces nothing
//	// These three return {done, cancel()}, where done is a promise.
//	files.remove(path)           // a folder with all that is inside
//	files.upload(path, file, {replace, onProgress(bytes)})
//	files.download(path, {onSize(bytes), onData(bytes), onProgress(bytes)})
//	files.close()
//
// An upload reads its File or Blob in slices, and a download waits for the promise that onData
// returns, so that neither holds more than a few megabytes.
//
// Where keep is given and the machine has tmux, the phase "open" has kept, and resumed where the
// shell was opened over an earlier connection; its history and its screen follow as output. Any
// other machine starts a plain shell.
//
// In onClose, exitCode is null where the shell reported none, and closeCode is the WebSocket's:
// 1006 where the connection broke off, nothing arrived for 10 seconds, or the machine answered
// nothing for 20.
//
// connect rejects with an Error that has a code: UNREACHABLE, HOST_KEY_MISMATCH, KEY_INVALID,
// PASSPHRASE_MISSING, PASSPHRASE_WRONG, SIGN_IN_REFUSED or FAILED. Files have NO_FILES, NOT_FOUND,
// EXISTS, DENIED, DISK_FULL, CANCELED, UNREACHABLE and FAILED. In the phase hostKey, fingerprint is
// the machine's, and known reports whether its key is one of hostKeys. Where that list is empty,
// the key is trusted on first use, and the page should show the fingerprint.
package main
