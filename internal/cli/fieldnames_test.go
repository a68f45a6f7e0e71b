package cli

import (
	"testing"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// command returns the command with this path below `billet`.
func command(t *testing.T, path ...string) *cobra.Command {
	t.Helper()
	cmd, _, err := (&tool{}).root().Find(path)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestInputName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command     []string
		field, want string
	}{
		{[]string{"offers"}, "query.gpuCount", "--gpus"},
		{[]string{"offers"}, "query.sort", "--sort"},
		{[]string{"check"}, "regions[0]", "--region"},
		{[]string{"deploy"}, "maxHourlyPrice", "--max-price"},
		{[]string{"deploy"}, "candidates[1].offerId", "--candidates"},
		{[]string{"deploy"}, "ssh_public_key", "--ssh-public-key-file"},
		{[]string{"deploy"}, "header.Idempotency-Key", "--idempotency-key"},
		{[]string{"wallet", "statement"}, "query.type[0]", "--type"},
		{[]string{"webhooks", "create"}, "types[2]", "--event"},
		{[]string{"keys", "rename"}, "name", "<name>"},
		{[]string{"keys", "add"}, "publicKey", "file"},
		{[]string{"events"}, "query.subject", "machine"},
		{[]string{"quote"}, "offerId", "<offer>"},
		{[]string{"show"}, "path.id", "<machine>"},
		{[]string{"volumes", "create"}, "sizeGb", "--size"},
		{[]string{"ps"}, "query.unheardOf", "unheardOf"},
		{[]string{"api"}, "query.gpuCount", "query.gpuCount"},
	} {
		if got := inputName(command(t, c.command...), c.field); got != c.want {
			t.Errorf("inputName(%v, %q) = %q, want %q", c.command, c.field, got, c.want)
		}
	}
}

func TestErrorOutput_text(t *testing.T) {
	t.Parallel()
	field := func(name, message string) client.FieldError { return client.FieldError{Field: name, Message: message} }
	for _, c := range []struct {
		name    string
		command []string
		err     errorOutput
		want    string
	}{
		{
			"field and call", []string{"check"},
			errorOutput{Fields: []client.FieldError{field("regions[0]", "is no region; see GET /regions.")}},
			"--region: is no region; see 'billet regions'.",
		}, {
			"several fields", []string{"offers"},
			errorOutput{Fields: []client.FieldError{
				field("query.gpuCount", "is too low."), field("query.sort", "is unknown."),
			}},
			"2 errors:\n  --gpus: is too low.\n  --sort: is unknown.",
		}, {
			"query in the message", []string{"terminate"},
			errorOutput{fromAPI: true, Message: "Queue that now with DELETE ?when=earliest."},
			"Queue that now with 'billet terminate --when earliest'.",
		}, {
			"field in the message", []string{"deploy"},
			errorOutput{fromAPI: true, Message: "It costs more than the maxHourlyPrice."},
			"It costs more than the --max-price.",
		}, {
			"request ID", []string{"ps"},
			errorOutput{Message: "Internal error.", RequestID: "req_1", ExitCode: exitUnavailable},
			"Internal error.\nInclude this request ID when you contact the server's operator: req_1",
		}, {
			"hint", []string{"ps"},
			errorOutput{Code: string(client.ErrInvalidAPIKey), Message: "Invalid API key."},
			"Invalid API key.\nRun 'billet login' to create a new key.",
		},
	} {
		if got := c.err.text(command(t, c.command...)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
