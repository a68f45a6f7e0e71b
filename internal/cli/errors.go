package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// The exit codes. Scripts rely on them: no code changes its meaning.
const (
	exitOK          = 0
	exitOther       = 1
	exitUsage       = 2
	exitSignIn      = 3
	exitNotFound    = 4
	exitMoney       = 5
	exitConflict    = 6
	exitRate        = 7
	exitUnavailable = 8
	exitEnded       = 9
	exitInterrupted = 130
)

func exitCodes() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "Explain the exit codes", Long: `The exit codes of billet:

    0    success
    1    another error on this machine
    2    invalid command or request; the error names the flag or field
    3    not signed in, or the API key lacks permission
    4    not found
    5    insufficient balance, or a spending limit of the API key is reached
    6    conflict: minimum runtime not met, offer unavailable, price too high, or a state conflict
    7    rate limit exceeded, after retries
    8    server unreachable or unavailable, after retries
    9    the deployment, volume or top-up being waited for failed or ended
  130    interrupted with Ctrl-C; work already started continues on the server

'billet ssh' exits with the exit code of ssh, which is that of the remote command.
With -o json, yaml or csv, an error is one line of JSON, the last line on standard error:

    {"error":{"code":"NOT_FOUND","message":"…","exitCode":4,"requestId":"…"}}`}
}

// cliError is an error that the command line itself detects.
type cliError struct {
	exit int
	code string
	text string
}

// Error returns the message.
func (e *cliError) Error() string { return e.text }

func usageError(format string, args ...any) error {
	return &cliError{exitUsage, "USAGE", fmt.Sprintf(format, args...)}
}

// exit is the exit code of another program, which billet passes on without a message.
type exit int

// Error returns the code as text.
func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// errorOutput is an error as programs read it. Fields have the API's names.
type errorOutput struct {
	Code              string              `json:"code"`
	Message           string              `json:"message"`
	Fields            []client.FieldError `json:"fields,omitempty"`
	Details           map[string]any      `json:"details,omitempty"`
	ExitCode          int                 `json:"exitCode"`
	RequestID         string              `json:"requestId,omitempty"`
	RetryAfterSeconds int                 `json:"retryAfterSeconds,omitempty"`

	// fromAPI is set if the message and fields come from the server.
	fromAPI bool
}

// exitOf maps the API's error codes to exit codes. Other codes exit with exitOther.
var exitOf = func() map[client.Code]int {
	codes := map[client.Code]int{}
	for exit, of := range map[int][]client.Code{
		exitUsage: {
			client.ErrInvalidRequest, client.ErrMethodNotAllowed, client.ErrNotAcceptable,
			client.ErrRequestTooLarge, client.ErrUnsupportedMediaType,
		},
		exitSignIn: {
			client.ErrMissingAPIKey, client.ErrInvalidAPIKey, client.ErrExpiredAPIKey, client.ErrRevokedAPIKey,
			client.ErrSignInRequired, client.ErrSignInFailed, client.ErrSecondFactorRequired,
			client.ErrInsufficientScope, client.ErrNetworkNotAllowed, client.ErrAccountSuspended,
			client.ErrAccessDenied, client.ErrExpiredToken, client.ErrInvalidGrant,
		},
		exitNotFound: {client.ErrNotFound, client.ErrEventExpired},
		exitMoney: {client.ErrInsufficientBalance, client.ErrKeyLimitReached, client.ErrQuotaExceeded,
			client.ErrBudgetExceeded},
		exitConflict: {
			client.ErrConflict, client.ErrOfferUnavailable, client.ErrIdempotencyKeyReused,
			client.ErrUnsupportedByProvider, client.ErrMinimumRuntimeNotMet, client.ErrPreconditionFailed,
		},
		exitRate:        {client.ErrRateLimitExceeded},
		exitUnavailable: {client.ErrRequestTimeout, client.ErrInternal, client.ErrServiceUnavailable},
	} {
		for _, code := range of {
			codes[code] = exit
		}
	}
	return codes
}()

const newKeyHint = "Run 'billet login' to create a new key."

// hints say what to do about an error, where the server cannot know it.
var hints = map[client.Code]string{
	client.ErrInvalidAPIKey: newKeyHint,
	client.ErrExpiredAPIKey: newKeyHint,
	client.ErrRevokedAPIKey: newKeyHint,
	client.ErrInsufficientScope: "Run 'billet login' to create a key with this scope, " +
		"or choose another login with --profile.",
	client.ErrMinimumRuntimeNotMet: "Run 'billet terminate --when earliest' to terminate it as soon as possible.",
	client.ErrInsufficientBalance:  "Run 'billet wallet' to see your balance.",
	client.ErrQuotaExceeded:        "Run 'billet quotas' to see what is used.",
	client.ErrBudgetExceeded:       "Run 'billet budgets' to see what is spent.",
	client.ErrOfferUnavailable:     "Run 'billet offers' to list available offers.",
	client.ErrIdempotencyKeyReused: "Machines of the earlier run still exist: see 'billet ps'. " +
		"To repeat a run, give the same --offer, --name and --max-price, and a time for --auto-terminate.",
}

// describeError turns an error into what billet reports about it.
func describeError(ctx context.Context, err error) errorOutput {
	if child, is := errors.AsType[exit](err); is {
		return errorOutput{ExitCode: int(child)}
	}
	if own, is := errors.AsType[*cliError](err); is {
		return errorOutput{Code: own.code, Message: own.text, ExitCode: own.exit}
	}
	if gone, is := errors.AsType[*client.DeploymentEndedError](err); is {
		return errorOutput{Code: "DEPLOYMENT_ENDED", Message: withoutPrefix(gone), ExitCode: exitEnded}
	}
	if failed, is := errors.AsType[*client.ActionFailedError](err); is {
		return errorOutput{Code: "ACTION_FAILED", Message: withoutPrefix(failed), ExitCode: exitEnded}
	}
	if volume, is := errors.AsType[*client.VolumeSettledError](err); is {
		return errorOutput{Code: "VOLUME_SETTLED", Message: withoutPrefix(volume), ExitCode: exitEnded}
	}
	if topUp, is := errors.AsType[*client.TopUpEndedError](err); is {
		return errorOutput{Code: "TOP_UP_ENDED", Message: withoutPrefix(topUp), ExitCode: exitEnded}
	}
	if ctx.Err() != nil {
		return errorOutput{
			Code: "INTERRUPTED", ExitCode: exitInterrupted,
			Message: "interrupted; work already started continues on the server.",
		}
	}
	if api, is := errors.AsType[*client.Error](err); is {
		return describeAPIError(api)
	}
	if strings.HasPrefix(err.Error(), "client: ") { // there was no response
		return errorOutput{
			Code: "UNREACHABLE", ExitCode: exitUnavailable,
			Message: withoutPrefix(
				err,
			) + "\nCheck the server's address and that the server is running, or run 'billet doctor'.",
		}
	}
	return errorOutput{Code: "FAILED", Message: err.Error(), ExitCode: exitOther}
}

func withoutPrefix(err error) string { return strings.TrimPrefix(err.Error(), "client: ") }

func describeAPIError(e *client.Error) errorOutput {
	out := errorOutput{
		Code: string(e.Code), Message: e.Message, Fields: e.Fields, Details: e.Details,
		RequestID: e.RequestID, RetryAfterSeconds: int(e.RetryAfter.Seconds()), fromAPI: true,
	}
	if len(out.Fields) > 0 {
		delete(out.Details, "fields") // Fields has them already
	}
	known := false
	if out.ExitCode, known = exitOf[e.Code]; !known {
		out.ExitCode = exitOther
	}
	if e.Code == "" {
		out.Code, out.ExitCode = "NOT_BILLET", exitUnavailable
	}
	return out
}

// fail reports the error of a command and returns the exit code.
func (t *tool) fail(ctx context.Context, cmd *cobra.Command, err error) int {
	e := describeError(ctx, err)
	switch {
	case e.Message == "":
	case t.machineOutput():
		b, _ := json.Marshal(map[string]errorOutput{"error": e}) // plain values always encode
		fmt.Fprintf(t.Err, "%s\n", b)
	default:
		t.note("billet: %s", clean(e.text(cmd)))
	}
	return e.ExitCode
}

// text returns the error for the user who typed cmd: with flags and arguments for the API's fields,
// and commands for its calls.
func (e *errorOutput) text(cmd *cobra.Command) string {
	text := e.Message
	if e.fromAPI {
		text = inCommandTerms(cmd, text)
	}
	if n := len(e.Fields); n > 0 {
		lines := make([]string, n)
		for i, f := range e.Fields {
			lines[i] = fieldText(cmd, f)
		}
		if text = lines[0]; n > 1 {
			text = fmt.Sprintf("%d errors:\n  %s", n, strings.Join(lines, "\n  "))
		}
	}
	if hint := hints[client.Code(e.Code)]; hint != "" {
		text += "\n" + hint
	}
	if e.RequestID != "" && e.ExitCode == exitUnavailable {
		text += "\nInclude this request ID when you contact the server's operator: " + e.RequestID
	}
	return text
}

// fieldText is what is wrong with an input, in the terms of cmd.
func fieldText(cmd *cobra.Command, f client.FieldError) string {
	message := f.Message
	if !strings.HasPrefix(message, "must be one of ") { // what follows are values, not fields
		message = inCommandTerms(cmd, message)
	}
	return inputName(cmd, f.Field) + ": " + message
}
