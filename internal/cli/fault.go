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

// The exit codes. They are a promise to scripts: none changes its meaning.
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
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: `The exit codes of billet:

    0    it went well
    1    something else went wrong, on this machine
    2    the command or the request is wrong; the error says which flag or field
    3    not signed in, or the API key may not do this
    4    there is no such thing
    5    the wallet, or a spending limit of the key, does not cover it
    6    not possible as things are: minimum runtime, offer gone, price too high, or a conflict
    7    too many requests in this minute, still after the retries
    8    the server cannot be reached or is down, still after the retries
    9    the deployment or volume that was waited for failed or ended
  130    interrupted with Ctrl-C; what was begun goes on at the server

'billet ssh' ends with the exit code of ssh, which is that of the command that it ran in the machine.
With -o json, yaml or csv an error is one line of JSON, the last on standard error:

    {"error":{"code":"NOT_FOUND","message":"…","exitCode":4,"requestId":"…"}}`}
}

// fault is an error of the command line itself.
type fault struct {
	exit int
	code string
	text string
}

// Error returns the text.
func (f *fault) Error() string { return f.text }

func usage(format string, args ...any) error {
	return &fault{exitUsage, "USAGE", fmt.Sprintf(format, args...)}
}

// exit is a program's own exit code that becomes ours, with nothing to say.
type exit int

// Error says the code.
func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// told is an error as programs read it.
type told struct {
	Code              string              `json:"code"`
	Message           string              `json:"message"`
	Fields            []client.FieldError `json:"fields,omitempty"`
	Details           map[string]any      `json:"details,omitempty"`
	ExitCode          int                 `json:"exitCode"`
	RequestID         string              `json:"requestId,omitempty"`
	RetryAfterSeconds int                 `json:"retryAfterSeconds,omitempty"`
}

var exitOf = map[client.Code]int{
	client.ErrInvalidRequest: exitUsage, client.ErrUnsupportedByProvider: exitConflict, client.ErrMinimumRuntimeNotMet: exitConflict,
	client.ErrMissingAPIKey: exitSignIn, client.ErrInvalidAPIKey: exitSignIn, client.ErrExpiredAPIKey: exitSignIn, client.ErrRevokedAPIKey: exitSignIn,
	client.ErrSignInRequired: exitSignIn, client.ErrSignInFailed: exitSignIn, client.ErrSecondFactorRequired: exitSignIn,
	client.ErrInsufficientScope: exitSignIn, client.ErrNetworkNotAllowed: exitSignIn,
	client.ErrAccessDenied: exitSignIn, client.ErrExpiredToken: exitSignIn, client.ErrInvalidGrant: exitSignIn,
	client.ErrInsufficientBalance: exitMoney, client.ErrKeyLimitReached: exitMoney,
	client.ErrNotFound: exitNotFound, client.ErrMethodNotAllowed: exitUsage, client.ErrNotAcceptable: exitUsage, client.ErrRequestTimeout: exitUnavailable,
	client.ErrConflict: exitConflict, client.ErrOfferUnavailable: exitConflict, client.ErrIdempotencyKeyReused: exitConflict,
	client.ErrRequestTooLarge: exitUsage, client.ErrUnsupportedMediaType: exitUsage, client.ErrRateLimitExceeded: exitRate,
	client.ErrInternal: exitUnavailable, client.ErrServiceUnavailable: exitUnavailable,
}

// cures are what to do about an error, where the server cannot know it.
var cures = map[client.Code]string{
	client.ErrInvalidAPIKey: "'billet login' makes a new key.", client.ErrExpiredAPIKey: "'billet login' makes a new key.", client.ErrRevokedAPIKey: "'billet login' makes a new key.",
	client.ErrInsufficientScope:    "'billet login' makes a key that may, or choose another with --profile.",
	client.ErrMinimumRuntimeNotMet: "'billet terminate --when earliest' ends it as soon as that is possible.",
	client.ErrInsufficientBalance:  "'billet wallet' shows what there is.",
	client.ErrOfferUnavailable:     "'billet offers' shows what there is now.",
	client.ErrIdempotencyKeyReused: "An earlier run with it is not undone: 'billet ps' shows what there is. A run asks the same again as long as the price is the same, with --offer and --name, and with --auto-terminate as a time.",
}

// tell makes of an error what is said of it.
func tell(ctx context.Context, err error) told {
	var (
		api    *client.Error
		own    *fault
		gone   *client.DeploymentEndedError
		volume *client.VolumeSettledError
		child  exit
	)
	switch {
	case errors.As(err, &child):
		return told{ExitCode: int(child)}
	case errors.As(err, &own):
		return told{Code: own.code, Message: own.text, ExitCode: own.exit}
	case errors.As(err, &gone):
		return told{Code: "DEPLOYMENT_ENDED", Message: strings.TrimPrefix(gone.Error(), "client: "), ExitCode: exitEnded}
	case errors.As(err, &volume):
		return told{Code: "VOLUME_SETTLED", Message: strings.TrimPrefix(volume.Error(), "client: "), ExitCode: exitEnded}
	case ctx.Err() != nil:
		return told{Code: "INTERRUPTED", Message: "interrupted; what was begun goes on at the server.", ExitCode: exitInterrupted}
	case errors.As(err, &api):
		e := told{Code: string(api.Code), Message: api.Message, Fields: api.Fields, Details: api.Details, RequestID: api.RequestID, RetryAfterSeconds: int(api.RetryAfter.Seconds())}
		if len(e.Fields) > 0 {
			delete(e.Details, "fields") // once is enough
		}
		var known bool
		if e.ExitCode, known = exitOf[api.Code]; !known {
			e.ExitCode = exitOther
			if api.Code == "" {
				e.Code, e.ExitCode = "NOT_BILLET", exitUnavailable
			}
		}
		return e
	case strings.HasPrefix(err.Error(), "client: "): // it never came to an answer
		return told{Code: "UNREACHABLE", Message: strings.TrimPrefix(err.Error(), "client: ") + "\nIs the server's address right, and does it run? 'billet doctor' finds out.", ExitCode: exitUnavailable}
	}
	return told{Code: "FAILED", Message: err.Error(), ExitCode: exitOther}
}

// fail says what went wrong and returns the exit code.
func (t *tool) fail(ctx context.Context, err error) int {
	e := tell(ctx, err)
	switch {
	case e.Message == "":
	case t.forPrograms():
		b, _ := json.Marshal(map[string]told{"error": e}) // it is made of plain values
		fmt.Fprintf(t.Err, "%s\n", b)
	default:
		text := e.Message
		if len(e.Fields) > 1 {
			text = fmt.Sprintf("the request has %d faults:", len(e.Fields))
			for _, f := range e.Fields {
				text += "\n  " + f.Field + ": " + f.Message
			}
		}
		if cure := cures[client.Code(e.Code)]; cure != "" {
			text += "\n" + cure
		}
		if e.RequestID != "" && e.ExitCode == exitUnavailable {
			text += "\nTell the operator of the server this request id: " + e.RequestID
		}
		t.note("billet: %s", clean(text))
	}
	return e.ExitCode
}
