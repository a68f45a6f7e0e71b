package provider

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// probeTimeout is how long a machine has to show that SSH answers.
const probeTimeout = 5 * time.Second

// ProbeSSH connects to host:port and reads the first line that the other side sends, which for SSH begins
// with "SSH-" (RFC 4253, 4.2). "running" means that this succeeded.
func ProbeSSH(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 256).ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("no SSH banner: %w", err)
	}
	if !strings.HasPrefix(string(line), "SSH-") {
		return errors.New("something other than SSH answers")
	}
	return nil
}
