package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/cobra"
)

// healthTimeout limits how long the server may take to respond.
const healthTimeout = 5 * time.Second

// health checks the server where there is neither shell nor curl, as in a minimal container.
func health() *cobra.Command {
	var listen string
	var ready bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check the health of the server on this machine",
		Long:  "Check that the server with the same --listen is alive. The command fails if it is not.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("listen") &&
				(os.Getenv("BILLET_TLS_DOMAIN") != "" || os.Getenv("BILLET_TLS_CERT") != "") {
				listen = defaultTLS // as `billetd serve` with the same environment
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return checkHealth(cmd.Context(), listen, path)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", app.Default().Listen, "`address` of the API")
	cmd.Flags().BoolVar(&ready, "ready", false,
		"check readiness as well: the database is writable, and no background job is stuck")
	return cmd
}

func checkHealth(ctx context.Context, listen, path string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	switch ip, err := netip.ParseAddr(host); { // no names: a minimal container cannot resolve localhost
	case host == "", err == nil && ip == netip.IPv4Unspecified():
		host = "127.0.0.1"
	case err == nil && ip == netip.IPv6Unspecified():
		host = "::1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	address := net.JoinHostPort(host, port)
	// The certificate is for another name than this address, and nothing secret is sent.
	unverified := &tls.Config{InsecureSkipVerify: true}
	scheme := "http"
	if c, err := (&tls.Dialer{Config: unverified}).DialContext(ctx, "tcp", address); err == nil {
		_ = c.Close()
		scheme = "https"
	}
	url := scheme + "://" + address + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: unverified},
	} // no proxy: the server is on this machine
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responded with %s", url, response.Status)
	}
	return nil
}

// notifyReady reports to the service manager that the server is ready, if the manager expects it
// (systemd's Type=notify).
func notifyReady(ctx context.Context, log *slog.Logger) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte("READY=1"))
		_ = c.Close()
	}
	if err != nil {
		log.WarnContext(ctx, "cannot notify the service manager that the server is ready", "error", err)
	}
}
