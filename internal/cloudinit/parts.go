package cloudinit

// Parts is a split cloud-config, for clouds that take packages, files and commands as an object
// instead of a text.
type Parts struct {
	Packages []string
	Files    []PartFile
	Commands []string
}

// PartFile is an entry of write_files, with cloud-init's names in JSON. All fields but Path may be
// "".
type PartFile struct {
	Path        string `json:"path"`
	Content     string `json:"content"`
	Encoding    string `json:"encoding,omitempty"`
	Owner       string `json:"owner,omitempty"`
	Permissions string `json:"permissions,omitempty"`
}

// Split splits the text. Nothing may be lost, since it would go unnoticed: what is not one of the
// Parts is a problem. The Parts are nil if the text has no content.
func Split(s string) (*Parts, []Problem) {
	if s == "" {
		return nil, nil
	}
	d, problems := Parse(s)
	if problems != nil {
		return nil, problems
	}
	refuse := func(line, column int, what string) {
		problems = append(
			problems,
			Problem{line, column, what + " is not taken by this provider, which takes only packages, write_files and " +
				"runcmd. Leave it out and set it up over SSH, or choose another provider."},
		)
	}
	parts := &Parts{Packages: d.Packages}
	for _, k := range d.Keys {
		if k.Name != "packages" && k.Name != "write_files" && k.Name != "runcmd" {
			refuse(k.Line, k.Column, k.Name)
		}
	}
	for _, k := range d.Versions {
		refuse(k.Line, k.Column, "a package with a version or for one package manager")
	}
	for _, f := range d.Files {
		for _, extra := range []struct {
			key string
			has bool
		}{{"source", f.Source != ""}, {"append", f.Append}, {"defer", f.Defer}} {
			if extra.has {
				line, column := f.At(extra.key)
				refuse(line, column, extra.key+" of a file")
			}
		}
		parts.Files = append(parts.Files, PartFile{f.Path, f.Content, f.Encoding, f.Owner, f.Permissions})
	}
	for _, c := range d.Commands {
		parts.Commands = append(parts.Commands, c.Script())
	}
	if problems != nil {
		return nil, problems
	}
	if len(parts.Packages)+len(parts.Files)+len(parts.Commands) == 0 {
		return nil, nil
	}
	return parts, nil
}
