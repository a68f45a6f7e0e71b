// Command billet is the tenant's command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/billetcloud/billet/internal/cli"
	"github.com/billetcloud/billet/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills the process at once
	system := cli.System{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ(), Version: version.Get()}
	os.Exit(cli.Main(ctx, system, os.Args[1:]))
}
