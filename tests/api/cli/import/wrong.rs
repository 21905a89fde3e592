//! Rows that are wrong: what is said of them, and that they stop nobody else.

use insta::assert_snapshot;

use super::{NAMES, import, imported, rows, said, shop};

#[test]
fn each_wrong_value_is_told_with_its_line_and_field_and_the_others_are_imported() {
    let folder = shop();
    let header = "email,phone,firstName,lastName,companyName,cuRefNo,referralId,registered,emailAuthorized,banned,\
                  banReason,banExpiresAt,createdAt";
    let long = |count: usize| "x".repeat(count);
    let csv = [
        header,
        "good@x.cz,,,,,,,,,,,,",
        "jan@x,,,,,,,,,,,,",
        ",777123456,,,,,,,,,,,",
        &format!("b@x.cz,,{},\u{200b},{},,,,,,,,", long(101), long(201)),
        "c@x.cz,,,,,short,no-reference!!!,,,,,,",
        &format!("d@x.cz,,,,,,,maybe,2,ja,{},soon,24.11.2026", long(501)),
        "e@x.cz,,,,,,,,,,,,1969-12-31T23:59:59Z",
        "f@x.cz,,,,,,,,,,,,2999-01-01T00:00:00Z",
        ",,Jan,,,,,,,,,,",
        "g@x.cz,",
        "also.good@x.cz,,,,,,,,,,,,",
    ]
    .join("\n");
    assert_snapshot!(imported(&folder, csv), @"
    Imported 2 customers; there already: 0.
    line 3: email: the part after the @ is not a domain name
    line 4: phone: not a valid telephone number such as +420 777123456 (one without its country's code needs --default-country)
    line 5: firstName: longer than 100 characters; lastName: a name has at least one character; companyName: not a single line of 1 to 200 characters
    line 6: cuRefNo: a customer reference number is 16 letters and digits; referralId: a customer reference number is 16 letters and digits
    line 7: emailAuthorized: neither true nor false; registered: neither true nor false; banned: neither true nor false; banReason: not a single line of 1 to 500 characters; banExpiresAt: not a date and time such as 2026-11-24T15:04:05Z or 2026-11-24T16:04:05+01:00; createdAt: not a date and time such as 2026-11-24T15:04:05Z or 2026-11-24T16:04:05+01:00
    line 8: createdAt: not a date and time such as 2026-11-24T15:04:05Z or 2026-11-24T16:04:05+01:00
    line 9: createdAt: lies in the future
    line 10: email: a contact has an email or a phone
    line 11: has 2 cells instead of 13
    magic-auth: 9 rows are wrong and were not imported
    exit code 1
    ");
    assert_eq!(rows(&folder, "SELECT email FROM customers"), ["good@x.cz", "also.good@x.cz"]);
}

#[test]
fn a_header_of_one_column_is_separated_by_commas() {
    assert_snapshot!(imported(&shop(), "email\njan@x.com,Jan\neva@x.com\n"), @"
    Imported 1 customer; there already: 0.
    line 2: has 2 cells instead of 1
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
}

#[test]
fn lines_are_counted_as_an_editor_does() {
    let folder = shop();
    for end in ["\n", "\r\n"] {
        let lines = [
            "",
            "email,firstName",
            "bad3",
            "\"a@x.cz\",\"two",
            "lines\"",
            "bad6,",
            "",
            "",
            "\"bad",
            "9\",",
            "b@x.cz,B",
            "",
            "bad13,\"\"\"quoted\"\"\"",
            "bad14,5\" pipe",
            "bad15,end",
        ];
        for last in ["", end] {
            let said = imported(&folder, lines.join(end) + last);
            let numbers: Vec<_> =
                said.lines().filter_map(|line| line.strip_prefix("line ")?.split(':').next()).collect();
            assert_eq!(numbers, ["3", "6", "9", "13", "14", "15"], "{end:?} {last:?} {said}");
        }
    }
    let json = "\n{\"email\":\"c@x.cz\"}\n\n{\"email\":\"bad\"}\r\n\r\nbad\n{\"email\":\"bad\"}";
    assert_snapshot!(imported(&folder, json), @"
    Imported 1 customer; there already: 0.
    line 4: email: an e-mail address is a local part, one @ and a domain
    line 6: not a JSON object
    line 7: email: an e-mail address is a local part, one @ and a domain
    magic-auth: 3 rows are wrong and were not imported
    exit code 1
    ");
}

#[test]
fn wrong_json_is_told_with_its_line() {
    let folder = shop();
    let lines = [
        "{\"email\":\"a@x.cz\"}",
        "{\"email\":1}",
        "{\"email\":{\"email\":\"a@x.cz\"}}",
        "[\"a@x.cz\"]",
        "\"a@x.cz\"",
        "{\"email\":\"b@x.cz\"",
        "{\"email\":\"b@x.cz\"} {\"email\":\"c@x.cz\"}",
        "{\"email\":\"b@x.cz\",\"Email\":\"c@x.cz\"}",
        "{\"mail\":\"b@x.cz\",\"E-Mail\":null}",
        "{\"email\":\"b@x.cz\",\"registered\":0,\"phone\":777123456}",
        "{\"email\":\"\\u0000b@x.cz\"}",
        &format!("{{\"email\":{}0{}}}", "[".repeat(200), "]".repeat(200)),
        &format!("{{\"email\":\"b@x.cz\",\"x\":\"{}\"}}", "x".repeat(70_000)),
        "{\"email\":\"d@x.cz\"}",
    ];
    assert_snapshot!(imported(&folder, lines.join("\n")), @r#"
    Imported 2 customers; there already: 0.
    line 2: email: must be a string, true, false or null
    line 3: email: must be a string, true, false or null
    line 4: not a JSON object
    line 5: not a JSON object
    line 6: not a JSON object: EOF while parsing an object
    line 7: not a JSON object: trailing characters
    line 8: email: appears more than once
    line 9: email: a contact has an email or a phone
    line 10: registered: must be a string, true, false or null; phone: must be a string, true, false or null
    line 11: email: the part before the @ is not 1 to 64 letters, digits and !#$%&'*+-/=?^_`{|}~ with single inner dots
    line 12: not a JSON object: recursion limit exceeded
    line 13: longer than 65536 bytes
    ignored columns: "mail"
    magic-auth: 12 rows are wrong and were not imported
    exit code 1
    "#);
    assert_eq!(rows(&folder, "SELECT email FROM customers"), ["a@x.cz", "d@x.cz"]);
}

#[test]
fn bytes_that_are_no_text_are_wrong_in_their_row_alone() {
    let folder = shop();
    let csv = b"email,firstName,x\na@x.cz,J\xe1n,\nb@x.cz,J\0an,\xe1\n\0c@x.cz,,\n";
    assert_snapshot!(imported(&folder, csv), @r#"
    Imported 1 customer; there already: 0.
    ignored columns: "x"
    line 2: firstName: not UTF-8: save the file as UTF-8
    line 4: email: the part before the @ is not 1 to 64 letters, digits and !#$%&'*+-/=?^_`{|}~ with single inner dots
    magic-auth: 2 rows are wrong and were not imported
    exit code 1
    "#);
    assert_snapshot!(imported(&folder, b"{\"email\":\"d@x.cz\",\"firstName\":\"J\xe1n\"}\n{\"email\":\"e@x.cz\"}"), @"
    Imported 1 customer; there already: 0.
    line 1: not a JSON object: invalid unicode code point
    magic-auth: one row is wrong and was not imported
    exit code 1
    ");
    assert_eq!(rows(&folder, NAMES), ["b@x.cz|-|Jan", "e@x.cz|-|-"]);
}

#[test]
fn a_quote_that_is_never_closed_swallows_nothing_in_silence() {
    let folder = shop();
    for end in ["", "\n", "\n\n", "\r\n"] {
        let csv = format!("email,note\nbefore@x.cz,\"closed\n\"\n,\nrow@x.cz,\"open\n\nbehind@x.cz,{end}");
        let said = imported(&folder, csv);
        assert!(
            said.contains("the row that begins at line 5 has a quote that is not closed\nexit code 1"),
            "{end:?} {said}"
        );
        assert!(said.contains("stopped at line 4 ("), "{said}");
    }
    assert_eq!(rows(&folder, "SELECT email FROM customers"), ["before@x.cz"]);
    assert_snapshot!(imported(&folder, "email,note\nrow@x.cz,\"open"), @r#"
    ignored columns: "note"
    magic-auth: stopped (0 customers so far, kept): run it again to import the rest: the row that begins at line 2 has a quote that is not closed
    exit code 1
    "#);
    assert_snapshot!(imported(&folder, "email,\"note\nrow@x.cz,\n"), @"
    magic-auth: FOLDER/contacts: the row that begins at line 1 has a quote that is not closed
    exit code 1
    ");
}

#[test]
fn a_header_may_have_several_lines() {
    let folder = shop();
    let rejects = folder.path().join("rejects");
    let csv = "\n\"First\nname\";email;\"a;b\n\"\nJan;jan@x.cz;\nbad5;;\n";
    let output = import(&folder, csv, &["--rejects", rejects.to_str().unwrap()]);
    assert_snapshot!(said(&folder, &output), @r#"
    Imported 1 customer; there already: 0.
    ignored columns: "a;b"
    line 6: email: a contact has an email or a phone
    magic-auth: one row is wrong and was not imported
    exit code 1
    "#);
    let kept = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(kept, "\"First\nname\";email;\"a;b\"\nbad5;;\n");
    assert!(
        imported(&folder, kept.replace("bad5;", "Eva;eva@x.cz")).starts_with("Imported 1 customer; there already: 0.")
    );
    assert_eq!(rows(&folder, NAMES), ["jan@x.cz|-|Jan", "eva@x.cz|-|Eva"]);
}

#[test]
fn a_huge_cell_is_wrong_in_its_row_alone() {
    let folder = shop();
    let huge = "x".repeat(1 << 20);
    let csv = format!("email,phone,firstName,note\n{huge},,,\n,{huge},,\na@x.cz,,{huge},\nb@x.cz,,,{huge}\n");
    assert_snapshot!(imported(&folder, csv), @r#"
    Imported 1 customer; there already: 0.
    ignored columns: "note"
    line 2: email: an e-mail address has at most 254 characters
    line 3: phone: not a valid telephone number such as +420 777123456 (one without its country's code needs --default-country)
    line 4: firstName: longer than 100 characters
    magic-auth: 3 rows are wrong and were not imported
    exit code 1
    "#);
}

#[test]
fn wrong_rows_are_kept_so_that_they_can_be_mended_and_imported() {
    let folder = shop();
    let rejects = folder.path().join("rejects");
    let keep = ["--rejects", rejects.to_str().unwrap()];
    let csv = "email;x;firstName\r\ngood@x.cz;;\r\nbad;\"a;\"\"b\"\"\nc\";Jan\r\nshort@x.cz;\r\n;'=1;Eva\r\n";
    assert_eq!(import(&folder, csv, &keep).status.code(), Some(1));
    let kept = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(kept, "email;x;firstName\nbad;\"a;\"\"b\"\"\nc\";Jan\nshort@x.cz;\n;'=1;Eva\n");
    assert_snapshot!(said(&folder, &import(&folder, csv, &keep)), @r#"
    ignored columns: "x"
    magic-auth: FOLDER/rejects already exists: name a new file
    exit code 1
    "#);
    assert_eq!(std::fs::read_to_string(&rejects).unwrap(), kept);
    let mended =
        kept.replace("bad", "mended@x.cz").replace("short@x.cz;", "short@x.cz;;").replace("\n;", "\neva@x.cz;");
    assert_snapshot!(imported(&folder, mended), @r#"
    Imported 3 customers; there already: 0.
    ignored columns: "x"
    "#);

    std::fs::remove_file(&rejects).unwrap();
    import(&folder, csv, &[&keep[..], &["--dry-run"]].concat());
    assert!(std::fs::read_to_string(&rejects).unwrap().ends_with(";'=1;Eva\n"));
    assert_snapshot!(said(&folder, &import(&folder, "email\nbad\n", &["--rejects", "-"])), @"
    magic-auth: rejects cannot go to standard output: name a new file
    exit code 1
    ");

    std::fs::remove_file(&rejects).unwrap();
    import(&folder, "\u{feff}{\"email\":\"json@x.cz\"}\n {\"email\":\"bad\"} \r\nbad", &keep);
    assert_eq!(std::fs::read_to_string(&rejects).unwrap(), " {\"email\":\"bad\"}\nbad\n");
}
