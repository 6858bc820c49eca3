//! Answers questions about signatures, expressions and paths, one JSON object a line, for `conformance/pipeline`.

use std::io::{BufRead, Write};

use nephometer_model::Secret;
use nephometer_pipeline::expr::{EvalError, Expression};
use nephometer_pipeline::path::Path;
use nephometer_pipeline::signature::Signer;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    Signature { secret: String, message: Map<String, Value> },
    Expression { text: String, names: Map<String, Value> },
    Path { text: String, value: Value },
}

fn answer(question: Question) -> Value {
    match question {
        Question::Signature { secret, message } => {
            let signer = Signer::new(&Secret::new(secret));
            json!({"signature": signer.sign(&message), "verifies": signer.verify(&message)})
        }
        Question::Expression { text, names } => {
            let expression = match Expression::compile(&text) {
                Ok(expression) => expression,
                Err(error) => return json!({"error": "SyntaxError", "message": error.to_string()}),
            };
            let names: Vec<(&str, &Value)> =
                names.iter().map(|(name, value)| (name.as_str(), value)).collect();
            match expression.evaluate_json(&names) {
                Ok(value) => json!({"value": value}),
                Err(EvalError { fault, message }) => json!({"error": fault.as_str(), "message": message}),
            }
        }
        Question::Path { text, value } => {
            let path = match Path::compile(&text) {
                Ok(path) => path,
                Err(error) => return json!({"error": "syntax", "message": error.to_string()}),
            };
            match path.find(&value) {
                Ok(found) => {
                    let places: Vec<String> = found.iter().map(|found| found.path()).collect();
                    let values: Vec<Value> =
                        found.into_iter().map(|found| found.into_value().into_owned()).collect();
                    json!({"values": values, "places": places})
                }
                Err(error) => json!({"error": "evaluation", "message": error.to_string()}),
            }
        }
    }
}

#[expect(clippy::unwrap_used, reason = "a question that is none is a mistake of whoever asks")]
fn main() {
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let question = serde_json::from_str(&line.unwrap()).unwrap();
        writeln!(output, "{}", answer(question)).unwrap();
    }
}
