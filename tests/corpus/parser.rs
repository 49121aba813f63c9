/// Finds `<tool_call>` in a stream. The lifetime `'a` is that of the text.
pub struct Parser<'a, F: Fn(&'a str) -> Option<Call<'a>>> {
    text: &'a str,
    read: F,
}

impl<'a, F> Iterator for Parser<'a, F>
where
    F: Fn(&'a str) -> Option<Call<'a>>,
{
    type Item = Call<'a>;
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.text.find("<function=")?;
        let (name, _) = self.text[at + 10..].split_once('>')?;
        assert!(name.len() < 256 && !name.contains("</"));
        (self.read)(name)
    }
}
